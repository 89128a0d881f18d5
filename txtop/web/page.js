"use strict";
// Before textual-serve's script, which waits for the page to be loaded, reads where its socket is.
const terminal = document.getElementById("terminal");
const scheme = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
const origin = location.origin.replace("http", "ws");
terminal.dataset.sessionWebsocketUrl = `${origin}${terminal.dataset.socket}/${scheme}`;
terminal.dataset.fontSize = 14;
// Keys work at once, not after a click.
new MutationObserver(() => document.querySelector(".xterm-helper-textarea")?.focus()).observe(
  document.body, { attributes: true, attributeFilter: ["class"] });
