// Copies a field or a block of code, says so, and announces it. On plain http there is no Clipboard API: then the text
// is selected where it stands and copied by the browser's own command. Nothing is left in the page.
const announce = document.querySelector("[data-announce]");

function select(source) {
  if (source instanceof HTMLInputElement) {
    source.focus();
    source.select();
    return;
  }
  const range = document.createRange();
  range.selectNodeContents(source);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
}

function copyBySelection(source) {
  // A masked text would be copied as dots: it is unmasked for this one synchronous moment, which is never painted.
  const masked = source.closest("[data-secret]:not([data-shown])");
  masked?.setAttribute("data-shown", "");
  select(source);
  const done = document.execCommand("copy");
  getSelection().removeAllRanges();
  masked?.removeAttribute("data-shown");
  return done;
}

async function copy(source) {
  if (navigator.clipboard && isSecureContext) {
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    return true;
  }
  return copyBySelection(source);
}

for (const button of document.querySelectorAll("[data-copy]")) {
  const label = button.innerHTML;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    const done = await copy(source).catch(() => copyBySelection(source));
    button.focus();
    button.textContent = done ? "Copied" : "Press Ctrl+C";
    announce.textContent = done ? "Copied to the clipboard" : "Couldn't copy. Show the secret and copy it by hand";
    if (done) {
      document.dispatchEvent(new CustomEvent("secret-copied"));
    }
    setTimeout(() => {
      button.innerHTML = label;
      announce.textContent = "";
    }, 4000);
  });
}
