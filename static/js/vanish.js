// A revealed secret leaves the page after some seconds: out of the fields, not only out of sight.
const holder = document.querySelector("[data-vanish]");

if (holder) {
  const countdown = holder.querySelector("[data-countdown]");
  let left = Number(holder.dataset.vanish);
  const timer = setInterval(() => {
    left -= 1;
    countdown.textContent = String(left);
    if (left > 0) {
      return;
    }
    clearInterval(timer);
    for (const text of holder.querySelectorAll("[data-secret-text]")) {
      if (text instanceof HTMLInputElement) {
        text.setAttribute("value", "");
        text.value = "";
      } else {
        text.textContent = "…";
      }
    }
    for (const button of holder.querySelectorAll("button")) {
      button.remove();
    }
    countdown.parentElement.textContent = "It was taken off this page. Reveal it again on the key's page.";
  }, 1000);
}
