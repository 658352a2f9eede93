// The one event stream of a browser. Runs in a SharedWorker (or in the page where there is none) and passes on what
// comes; a page that opens later gets the cells that changed since it was rendered.
"use strict";

var KEEP_MS = 120000;
var QUIET_MS = 25000;
var ports = new Set();
var cells = new Map();
var state = { connected: false, at: null };
var source = null;
var retry = 500;
var last = null;
var heard = 0;

function say(message) {
  ports.forEach(function (port) {
    port.postMessage(message);
  });
}

function setState(connected) {
  if (state.connected === connected) return;
  state = { connected: connected, at: last };
  say({ kind: "state", connected: connected, at: last });
}

function take(kind, event) {
  heard = Date.now();
  retry = 500;
  var data = JSON.parse(event.data);
  last = data.at;
  setState(true);
  var now = Date.now();
  Object.keys(data.patch || {}).forEach(function (key) {
    cells.set(key, { value: data.patch[key], at: now });
  });
  cells.forEach(function (cell, key) {
    if (now - cell.at > KEEP_MS && !/^(needs|total|health|pulled|orders24|queue|trouble|run)/.test(key)) cells.delete(key);
  });
  say({ kind: kind, data: data });
}

function open() {
  if (source) source.close();
  source = new EventSource("/events" + (last ? "?since=" + encodeURIComponent(last) : ""));
  heard = Date.now();
  ["first", "update", "beat"].forEach(function (name) {
    source.addEventListener(name, function (event) {
      take(name, event);
    });
  });
  source.onerror = function () {
    setState(false);
    say({ kind: "state", connected: false, at: last });
    source.close();
    source = null;
    retry = Math.min(retry * 2, 15000);
    setTimeout(open, retry);
  };
}

setInterval(function () {
  // A stream that says nothing for longer than its heartbeat is dead even if the browser has not noticed.
  if (source && Date.now() - heard > QUIET_MS) source.onerror();
}, 5000);

function join(port) {
  ports.add(port);
  port.onmessage = function (event) {
    if (event.data.kind === "leave") {
      ports.delete(port);
    } else if (event.data.kind === "join") {
      var patch = {};
      cells.forEach(function (cell, key) {
        if (cell.at >= event.data.since - 2000) patch[key] = cell.value;
      });
      port.postMessage({ kind: "state", connected: state.connected, at: last });
      port.postMessage({ kind: "update", data: { patch: patch, at: last } });
    }
  };
  if (port.start) port.start();
  if (!source) open();
}

if (typeof SharedWorkerGlobalScope !== "undefined") {
  self.onconnect = function (event) {
    join(event.ports[0]);
  };
} else {
  var channel = new MessageChannel();
  self.entrepotStream = channel.port1;
  join(channel.port2);
}
