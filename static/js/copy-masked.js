// A masked secret that is selected and copied by hand would reach the clipboard as dots, a loss that nobody sees until
// the page is gone. What is copied inside the secret's cards is the real text, masked or not.
const holder = document.querySelector("[data-secret]");

function selected() {
  const field = document.activeElement;
  if (field instanceof HTMLInputElement && field.selectionStart !== field.selectionEnd) {
    return field.value.slice(field.selectionStart, field.selectionEnd);
  }
  const selection = getSelection();
  return selection.rangeCount ? selection.getRangeAt(0).cloneContents().textContent : "";
}

holder.addEventListener("copy", (event) => {
  const text = selected();
  if (text) {
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
  }
});
