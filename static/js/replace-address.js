// The page that shows a secret answers a POST. Its address becomes the key's, so that a reload asks for that page:
// it neither creates a second key nor shows the secret again.
const page = document.querySelector("[data-replace-address]");
history.replaceState(null, "", page.dataset.replaceAddress);

// Nor does the way back: a page that the browser kept in memory is asked for again.
addEventListener("pageshow", (event) => {
  if (event.persisted) {
    location.replace(page.dataset.replaceAddress);
  }
});
