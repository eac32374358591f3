// One click, one request: the second click of a double click finds the button disabled.
for (const form of document.querySelectorAll("form[data-submit-once]")) {
  form.addEventListener("submit", () => {
    for (const button of form.querySelectorAll("button:not([type=button])")) {
      button.disabled = true;
    }
  });
}

// A page that comes back from the browser's memory must be usable again.
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("form[data-submit-once] button:disabled")) {
    button.disabled = false;
  }
});
