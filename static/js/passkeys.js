// Passkeys: the browser's own dialogue, its answer in a hidden field, then an ordinary form post.
// data-passkey says which: "create" a new one, "get" an answer to the options in the page, or "login" by any passkey.
const optionsInPage = (form) => JSON.parse(form.querySelector("script[type='application/json']").textContent);

async function optionsForLogin(form) {
  const answer = await fetch(form.action, { headers: { Accept: "application/json" } });
  if (answer.status === 429) {
    const minutes = Math.ceil(Number(answer.headers.get("Retry-After")) / 60);
    throw new Error(`Too many passkey attempts from your network. Try again in ${minutes} min.`);
  }
  if (!answer.ok) {
    throw new Error(`The portal responded with ${answer.status}.`);
  }
  return answer.json();
}

async function ask(form) {
  if (form.dataset.passkey === "create") {
    const options = optionsInPage(form).creation_options.publicKey;
    const passwordless = form.elements.passwordless?.checked ?? false;
    options.authenticatorSelection = {
      ...options.authenticatorSelection,
      residentKey: passwordless ? "required" : "discouraged",
      requireResidentKey: passwordless,
      userVerification: passwordless ? "required" : "preferred",
    };
    return navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) });
  }
  const data = form.dataset.passkey === "login" ? await optionsForLogin(form) : optionsInPage(form);
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(data.request_options.publicKey);
  return navigator.credentials.get({ publicKey });
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const credential = await ask(form);
      form.elements.credential.value = JSON.stringify(credential.toJSON());
      form.submit();
    } catch (error) {
      form.querySelector("[data-passkey-error]").textContent = `That didn't work. ${error.message}`;
    }
  });
}
