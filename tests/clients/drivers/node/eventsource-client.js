// npm eventsource-client. It reconnects until it gets the event `done`, or a connection that gives it no event.
import { createEventSource } from "eventsource-client";
import { drive } from "./driver.js";

await drive((url, got, done) => {
  let events = 0;
  const source = createEventSource({
    url,
    onMessage: ({ data, event, id }) => {
      events += 1;
      got.push(["event", event ?? null, data, id ?? null]);
      if (event === "done") end();
    },
    onConnect: () => got.push(["open"]),
    onDisconnect: () => {
      got.push(["end"]);
      if (events === 0) end();
      events = 0;
    },
    onScheduleReconnect: () => got.push(["reconnecting"]),
  });
  function end() {
    source.close();
    done();
  }
});
