"""`python -m keyportal_client.cli` is the command `keyportal`."""

from keyportal_client.cli.entry import main

main()
