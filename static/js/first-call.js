// Says by itself when a new key was used for the first time. Asks for ten minutes, and not while nobody looks.
const waiting = document.querySelector("[data-first-call]");
const PACE = 2000;
const PATIENCE = 10 * 60 * 1000;

async function isUsed() {
  const answer = await fetch(waiting.dataset.firstCall, { headers: { Accept: "application/json" } });
  return answer.ok && (await answer.json()).used;
}

if (waiting) {
  const end = Date.now() + PATIENCE;
  const timer = setInterval(async () => {
    if (document.hidden) {
      return;
    }
    if (Date.now() > end) {
      clearInterval(timer);
      waiting.textContent = "No call yet. The key's page shows the first one a few seconds after you make it.";
      return;
    }
    // A portal that does not answer is asked again.
    if (await isUsed().catch(() => false)) {
      clearInterval(timer);
      waiting.textContent = "The first call has arrived. This key works.";
      waiting.classList.add("notice-success");
    }
  }, PACE);
}
