// A button that adds a line to a field, once: "use my address". Lines with comments stay as they are.
for (const button of document.querySelectorAll("[data-fill-in]")) {
  button.addEventListener("click", () => {
    const field = document.getElementById(button.dataset.fillIn);
    const lines = field.value.split("\n").filter((line) => line.trim());
    if (!lines.some((line) => line.split("#")[0].split(/[\s,]+/).includes(button.dataset.value))) {
      lines.push(button.dataset.value);
    }
    field.value = lines.join("\n");
    field.focus();
  });
}
