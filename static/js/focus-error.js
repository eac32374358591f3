// After a form came back with errors, the reader starts at the summary, or at the first field that is not right.
document.querySelector("[data-focus], [aria-invalid=true]")?.focus();
