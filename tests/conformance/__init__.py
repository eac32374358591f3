"""What the RFCs ask of us, over real HTTP on the started portal."""
