// A secret that is shown only once: the browser asks before the page is left without having copied it.
const guarded = document.querySelector("[data-guard-leaving]");

if (guarded) {
  const ask = (event) => event.preventDefault();
  addEventListener("beforeunload", ask);
  const release = () => removeEventListener("beforeunload", ask);
  document.addEventListener("secret-copied", release);
  guarded.addEventListener("copy", () => {
    if (guarded.selectionEnd - guarded.selectionStart === guarded.value.length) {
      release();
    }
  });
}
