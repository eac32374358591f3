// After a form came back with errors, the reader starts at the summary.
document.querySelector("[data-focus]")?.focus();
