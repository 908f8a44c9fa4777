/* Keeps the key of this server for all its tabs, in memory and nowhere else: so it outlives a reload of the page where the
   browser lets a worker do so, and is never written to disk, never a cookie, never sent. */
"use strict";

const ports = new Set();
let key = "";

self.addEventListener("connect", (event) => {
  const port = event.ports[0];
  ports.add(port);
  port.addEventListener("message", (message) => {
    if (typeof message.data !== "string") return;
    key = message.data;
    for (const other of ports) other.postMessage(key);
  });
  port.start();
  port.postMessage(key);
});
