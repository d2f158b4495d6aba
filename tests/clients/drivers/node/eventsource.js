// npm eventsource: the browsers' EventSource. It reconnects until it gets the event `done`, or a refusal.
import { EventSource } from "eventsource";
import { drive } from "./driver.js";

await drive((url, got, done) => {
  const source = new EventSource(url);
  for (const type of ["message", "note", "done"]) {
    source.addEventListener(type, (event) => {
      got.push(["event", event.type, event.data, event.lastEventId]);
      if (type === "done") {
        source.close();
        done();
      }
    });
  }
  source.addEventListener("open", () => got.push(["open"]));
  source.addEventListener("error", (event) => {
    got.push(["error", event.code ?? null, source.readyState]);
    if (source.readyState === EventSource.CLOSED) done();
  });
});
