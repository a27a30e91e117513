// The dashboard: shows how the services are and talks to the chat agent. It must not know any secret.

import { fetchStatus, fetchTranscript, sendMessage, type Message } from "./api";

const room = localStorage.getItem("room") ?? crypto.randomUUID();
localStorage.setItem("room", room);

const status = element("status");
const transcript = element("transcript");
const form = element("ask") as HTMLFormElement;

void showStatus();
void showTranscript();
form.addEventListener("submit", (event) => {
  event.preventDefault();
  void ask(String(new FormData(form).get("text") ?? ""));
});

async function showStatus(): Promise<void> {
  try {
    const { release, ok } = await fetchStatus();
    status.textContent = ok ? `All services are up (release ${release || "local"}).` : "Some services have trouble right now.";
    status.classList.toggle("failed", !ok);
  } catch (error) {
    showFailure(error);
  }
}

async function showTranscript(): Promise<void> {
  try {
    transcript.replaceChildren(...(await fetchTranscript(room)).map(line));
  } catch (error) {
    showFailure(error);
  }
}

async function ask(text: string): Promise<void> {
  try {
    const messages = await sendMessage(room, text);
    form.reset();
    transcript.append(...messages.map(line));
  } catch (error) {
    showFailure(error);
  }
}

function line(message: Message): HTMLLIElement {
  const item = document.createElement("li");
  item.className = message.role;
  item.textContent = message.text;
  return item;
}

function showFailure(error: unknown): void {
  status.textContent = error instanceof Error ? error.message : "The dashboard cannot be reached.";
  status.classList.add("failed");
}

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) {
    throw new Error(`the page has no #${id}`);
  }
  return found;
}
