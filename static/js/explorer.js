// Swagger UI with a token of the reader, if they are logged in: no secret is pasted into a page.
const form = document.querySelector("form[data-description]");

async function token() {
  const answer = await fetch(form.action, { method: "POST", body: new FormData(form), redirect: "error" });
  return answer.ok ? (await answer.json()).access_token : "";
}

const ui = window.SwaggerUIBundle({
  url: form.dataset.description,
  dom_id: "#explorer",
  deepLinking: true,
  validatorUrl: null,
  onComplete: async () => {
    const text = "canTry" in form.dataset ? await token() : "";
    if (text) {
      ui.preauthorizeApiKey("access_token", text);
    }
  },
});
