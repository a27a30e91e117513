// The dashboard's only way to the worker behind it.

/** One line of a conversation. */
export interface Message {
  role: "user" | "agent";
  text: string;
}

export async function fetchStatus(): Promise<{ ok: boolean; release: string }> {
  // A failing health check answers 503 with the same JSON.
  const response = await fetch("/health");
  return (await response.json()) as { ok: boolean; release: string };
}

export async function fetchTranscript(room: string): Promise<Message[]> {
  const { messages } = await call<{ messages: Message[] }>(`/api/chat/${room}`);
  return messages;
}

export async function sendMessage(room: string, text: string): Promise<Message[]> {
  const { messages } = await call<{ messages: Message[] }>(`/api/chat/${room}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ text }),
  });
  return messages;
}

async function call<T>(path: string, init?: RequestInit): Promise<T> {
  const response = await fetch(path, init);
  const body = (await response.json()) as T & { error?: string };
  if (!response.ok) {
    throw new Error(body.error ?? `The service answered ${response.status}.`);
  }
  return body;
}
