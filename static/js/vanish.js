// A revealed secret leaves the page after some seconds: out of the fields, not only out of sight.
const holder = document.querySelector("[data-vanish]");

if (holder) {
  const countdown = holder.querySelector("[data-countdown]");
  // By the clock, not by ticks: a page in the background or a machine asleep counts slowly.
  const end = Date.now() + Number(holder.dataset.vanish) * 1000;
  const timer = setInterval(() => {
    const left = Math.max(0, Math.ceil((end - Date.now()) / 1000));
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
    countdown.parentElement.textContent = "It's no longer on this page. Reveal it again on the key's page.";
  }, 1000);
}
