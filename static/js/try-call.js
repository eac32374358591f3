// Sends the calls of the API reference with a token of the reader, which stays in this page's memory and nowhere else.
let token = null;

async function tokenOf(form) {
  if (token === null || token.until < Date.now()) {
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form), redirect: "manual" });
    if (answer.type === "opaqueredirect") {
      throw new Error("Press Send again after you", { cause: form.dataset.confirm });
    }
    if (!answer.ok) {
      throw new Error(answer.status === 429 ? "Too many tokens. Wait a few minutes." : "Reload this page.");
    }
    const { access_token: text, expires_in: seconds } = await answer.json();
    token = { text, until: Date.now() + (seconds - 30) * 1000 };
  }
  return token.text;
}

function callOf(form) {
  const call = { path: form.dataset.path, headers: {}, query: new URLSearchParams() };
  for (const field of form.querySelectorAll("[data-place]")) {
    if (field.dataset.place === "path") {
      call.path = call.path.replace(`{${field.name}}`, encodeURIComponent(field.value));
    } else if (field.value && field.dataset.place === "query") {
      call.query.set(field.name, field.value);
    } else if (field.value) {
      call.headers[field.name] = field.value;
    }
  }
  return call;
}

async function send(form) {
  const { path, headers, query } = callOf(form);
  headers.Authorization = `Bearer ${await tokenOf(form)}`;
  const body = form.elements.body?.value;
  if (body !== undefined) {
    headers["Content-Type"] = "application/json";
  }
  const answer = await fetch(`${path}${query.size ? `?${query}` : ""}`, { method: form.dataset.try, headers, body });
  token = answer.status === 401 ? null : token;
  const text = await answer.text();
  return `${answer.status} ${answer.statusText}\n\n${text && JSON.stringify(JSON.parse(text), null, 2)}`;
}

function linkTo(confirmation) { // in another tab, so that what was filled in here stays
  return Object.assign(document.createElement("a"), { href: confirmation, target: "_blank", textContent: "confirm it's you" });
}

for (const form of document.querySelectorAll("form[data-try]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const shown = document.createElement("pre");
    shown.tabIndex = 0;
    const text = await send(form).catch((error) => (error.cause ? error : `The call failed. ${error.message}`));
    shown.append(...(text.cause ? [text.message, " ", linkTo(text.cause)] : [text]));
    form.querySelector("[data-answer]").replaceChildren(shown);
  });
}
