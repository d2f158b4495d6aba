// @microsoft/fetch-event-source, written for browsers. It reconnects until it gets the event `done`, or a refusal.
import { fetchEventSource } from "@microsoft/fetch-event-source/lib/cjs/index.js";
import { drive } from "./driver.js";

globalThis.window = globalThis;
globalThis.document = { removeEventListener() {} };

class Refused extends Error {}

await drive(async (url, got, done) => {
  const over = new AbortController();
  await fetchEventSource(url, {
    signal: over.signal,
    openWhenHidden: true,
    async onopen(response) {
      const type = response.headers.get("content-type");
      got.push(["open", response.status, type, response.headers.get("www-authenticate")]);
      if (response.status !== 200 || !type?.startsWith("text/event-stream")) {
        throw new Refused(await response.text());
      }
    },
    onmessage({ data, event, id, retry }) {
      got.push(["event", event, data, id, retry ?? null]);
      if (event === "done") over.abort();
    },
    onclose() {
      throw new Error("ended");
    },
    onerror(error) {
      got.push(["error", error.constructor.name, error.message]);
      if (error instanceof Refused) throw error;
    },
  }).catch(() => {});
  done();
});
