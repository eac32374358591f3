// The eye: shows the masked secret and hides it again.
for (const button of document.querySelectorAll("[data-show]")) {
  const holder = button.closest("[data-secret]");
  const update = () => {
    const shown = holder.hasAttribute("data-shown");
    button.setAttribute("aria-pressed", String(shown));
    button.textContent = shown ? "Hide" : "Show";
  };
  button.addEventListener("click", () => {
    holder.toggleAttribute("data-shown");
    update();
  });
  update();
}
