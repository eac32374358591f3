// A button that adds a value to a field, once: "use my address".
for (const button of document.querySelectorAll("[data-fill-in]")) {
  button.addEventListener("click", () => {
    const field = document.getElementById(button.dataset.fillIn);
    const lines = field.value.split(/\s+/).filter(Boolean);
    if (!lines.includes(button.dataset.value)) {
      lines.push(button.dataset.value);
    }
    field.value = lines.join("\n");
    field.focus();
  });
}
