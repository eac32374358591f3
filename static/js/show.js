// The eye: shows the masked secret and hides it again. Its name stays; aria-pressed says which it is.
for (const button of document.querySelectorAll("[data-show]")) {
  const holder = button.closest("[data-secret]");
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(holder.toggleAttribute("data-shown")));
  });
}
