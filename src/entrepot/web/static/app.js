// What pages do beyond HTML and htmx: live cells, the palette, keys, dialogs, the theme. No framework.
(function () {
  "use strict";

  var doc = document;
  var $ = function (selector, root) { return (root || doc).querySelector(selector); };
  var $$ = function (selector, root) { return Array.prototype.slice.call((root || doc).querySelectorAll(selector)); };

  // ---- cells ------------------------------------------------------------------------------------------------------

  function setText(node, text) {
    // Only the text node changes, so focus and selection around it stay.
    if (node.childNodes.length === 1 && node.firstChild.nodeType === 3) {
      if (node.firstChild.data === text) return false;
      node.firstChild.data = text;
    } else {
      if (node.textContent === text) return false;
      node.textContent = text;
    }
    return true;
  }

  function apply(node, value) {
    var changed = false;
    if (node.tagName === "PROGRESS" && value && value.max !== undefined) {
      if (value.max) { node.max = value.max; node.value = value.v; } else { node.removeAttribute("value"); }
      return;
    }
    if (value !== null && typeof value === "object") {
      if ("at" in value) {
        if (value.at) node.setAttribute("datetime", value.at);
        return tell(node);
      }
      if ("tone" in value) {
        var holder = node.closest("[data-tone-of]") || node;
        if (value.tone) holder.dataset.tone = value.tone; else delete holder.dataset.tone;
      }
      changed = setText(node, value.t);
    } else {
      changed = setText(node, String(value));
    }
    var zero = node.closest("[data-zero]");
    if (zero) zero.dataset.zero = node.textContent === "0" ? "true" : "false";
    if (changed && node.dataset.quiet === undefined) flash(node.closest("td") || node);
  }

  function flash(node) {
    node.classList.remove("tick");
    void node.offsetWidth;
    node.classList.add("tick");
  }

  function patch(values) {
    Object.keys(values).forEach(function (key) {
      $$('[data-live="' + CSS.escape(key) + '"]').forEach(function (node) { apply(node, values[key]); });
    });
    if (values["runs:open"] !== undefined) doc.body.dispatchEvent(new CustomEvent("runs-changed"));
    var nothing = $("#nothing");
    if (nothing && values["needs:total"] !== undefined) nothing.hidden = values["needs:total"] !== "";
    announce();
  }

  var announceTimer = null;
  function announce() {
    // Screen readers hear counts at most every ten seconds, not every tick.
    if (announceTimer) return;
    announceTimer = setTimeout(function () {
      announceTimer = null;
      var spoken = $("#spoken");
      var source = $("[data-spoken]");
      if (spoken && source) spoken.textContent = source.dataset.spoken + ": " + source.textContent.trim();
    }, 10000);
  }

  function insertItems(name, items) {
    var list = $('[data-live-list="' + name + '"]');
    if (!list || !items) return;
    var template = $("#" + list.dataset.template);
    items.slice().reverse().forEach(function (item) {
      if ($('[data-item="' + item.id + '"]', list)) return;
      var row = template.content.firstElementChild.cloneNode(true);
      row.dataset.item = item.id;
      $$("[data-field]", row).forEach(function (node) {
        var field = node.dataset.field;
        if (field === "at") node.setAttribute("datetime", item.at);
        else node.textContent = item[field];
        if (node.tagName === "A") node.setAttribute("href", item.href);
        if (node.dataset.toned !== undefined) node.dataset.tone = item.tone;
      });
      row.classList.add("tick");
      list.insertBefore(row, list.firstElementChild);
    });
    var most = Number(list.dataset.most || 12);
    while (list.children.length > most) list.lastElementChild.remove();
    var empty = $('[data-empty-of="' + name + '"]');
    var table = list.closest("[data-filled]");
    if (empty && list.children.length) empty.hidden = true;
    if (table && list.children.length) table.hidden = false;
    times();
  }

  // ---- times ------------------------------------------------------------------------------------------------------

  var skew = 0;

  function ago(at) {
    var seconds = Math.floor((Date.now() + skew - at) / 1000);
    if (isNaN(seconds)) return "never";
    if (seconds < 0) return "just now";
    if (seconds < 60) return seconds + " s ago";
    if (seconds < 3600) return Math.floor(seconds / 60) + " min ago";
    if (seconds < 86400) return Math.floor(seconds / 3600) + " h ago";
    return Math.floor(seconds / 86400) + " d ago";
  }

  function tell(node) {
    var at = node.getAttribute("datetime");
    if (at) setText(node, ago(Date.parse(at)));
  }

  // Time left until something ends, in the words of the page that was sent.
  function left(node) {
    var seconds = Math.round((Date.parse(node.getAttribute("datetime")) - Date.now() - skew) / 1000);
    if (isNaN(seconds)) return;
    if (seconds <= 0) setText(node, "has ended");
    else if (seconds < 120) setText(node, seconds + " s");
    else if (seconds < 7200) setText(node, Math.round(seconds / 60) + " min");
    else if (seconds < 172800) setText(node, Math.round(seconds / 3600) + " h");
    else setText(node, Math.round(seconds / 86400) + " days");
  }

  function times() {
    $$("time[data-ago]").forEach(tell);
    $$("time[data-left]").forEach(left);
  }

  // ---- the stream -------------------------------------------------------------------------------------------------

  var lost = null;

  function setLive(connected, at) {
    var live = $("#live");
    var banner = $("#lost");
    if (!live || !banner) return;
    if (connected) {
      clearTimeout(lost);
      lost = null;
      banner.hidden = true;
      live.dataset.tone = "ok";
      setText(live, "Live");
      return;
    }
    live.dataset.tone = "muted";
    setText(live, "Connecting");
    if (lost) return;
    // A page being left or a stream reopened at once is no loss.
    lost = setTimeout(function () {
      var when = new Date(at ? Date.parse(at) : Number(doc.body.dataset.rendered));
      var clock = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
      setText($("span", banner), "Reconnecting, data from " + clock);
      live.dataset.tone = "warn";
      setText(live, "Reconnecting");
      banner.hidden = false;
    }, 1500);
  }

  function hear(event) {
    var message = event.data;
    if (message.kind === "state") return setLive(message.connected, message.at);
    var data = message.data;
    if (data.at) skew = Math.max(-86400000, Date.parse(data.at) - Date.now());
    setLive(true);
    if (data.stale && !typing() && !unsaved) return location.reload();
    if (data.patch) patch(data.patch);
    insertItems("orders", data.orders);
    insertItems("movements", data.movements);
  }

  function typing() {
    var node = doc.activeElement;
    return !!node && (/^(INPUT|TEXTAREA|SELECT)$/.test(node.tagName) || node.isContentEditable);
  }

  function connect() {
    if (!doc.body.dataset.stream) return;
    var port;
    var begin = function () {
      port.onmessage = hear;
      if (port.start) port.start();
      port.postMessage({ kind: "join", since: Number(doc.body.dataset.rendered) });
      addEventListener("pagehide", function () { port.postMessage({ kind: "leave" }); });
      addEventListener("pageshow", function (shown) { if (shown.persisted) location.reload(); });
    };
    if (window.SharedWorker) {
      port = new SharedWorker(doc.body.dataset.stream, { name: "entrepot" }).port;
      begin();
    } else {
      var script = doc.createElement("script");
      script.src = doc.body.dataset.stream;
      script.onload = function () { port = self.entrepotStream; begin(); };
      doc.head.append(script);
    }
  }

  // ---- saying things ----------------------------------------------------------------------------------------------

  function said(message) {
    var text = typeof message === "string" ? message : message.text || message.value || "";
    if (!text) return;
    var toast = doc.createElement("div");
    toast.className = "toast";
    toast.dataset.tone = message.tone || "ok";
    toast.textContent = text;
    $("#toasts").append(toast);
    setTimeout(function () { toast.remove(); }, message.tone === "bad" ? 12000 : 5000);
  }

  doc.addEventListener("said", function (event) { said(event.detail.value !== undefined ? event.detail.value : event.detail); });
  doc.addEventListener("patched", function (event) { closeLayer(true); patch(event.detail); });
  doc.addEventListener("htmx:sendError", function () {
    said({ text: "The hub does not answer. Nothing was changed; what is on the page stays.", tone: "bad" });
  });

  function saidBefore() {
    var match = doc.cookie.match(/(?:^|; )said=([^;]+)/);
    if (!match) return;
    doc.cookie = "said=; max-age=0; path=/; samesite=lax";
    said(decodeURIComponent(match[1].replace(/^"|"$/g, "")));
  }

  // ---- the layer: inline edit and "why" -----------------------------------------------------------------------------

  var opener = null;

  function closeLayer(keepFocus) {
    var layer = $("#layer");
    if (!layer || layer.hidden) return;
    layer.hidden = true;
    layer.textContent = "";
    if (opener && (keepFocus || layer.contains(doc.activeElement) || doc.activeElement === doc.body)) opener.focus();
    if (opener) opener.setAttribute("aria-expanded", "false");
  }

  function placeLayer() {
    var layer = $("#layer");
    if (!opener) return;
    var box = opener.getBoundingClientRect();
    layer.hidden = false;
    var width = layer.offsetWidth;
    var left = Math.min(box.left, doc.documentElement.clientWidth - width - 8);
    var below = box.bottom + 4;
    var height = layer.offsetHeight;
    var top = below + height > innerHeight && box.top - height - 4 > 0 ? box.top - height - 4 : below;
    layer.style.left = Math.max(8, left) + scrollX + "px";
    layer.style.top = top + scrollY + "px";
    opener.setAttribute("aria-expanded", "true");
  }

  doc.addEventListener("htmx:afterSwap", function (event) {
    if (event.detail.target.id === "layer") {
      var from = event.detail.requestConfig && event.detail.requestConfig.elt;
      if (from && from.dataset && from.dataset.layer !== undefined) opener = from;
      placeLayer();
      var first = $("[autofocus]", $("#layer")) || $("button, input", $("#layer"));
      if (first) { first.focus(); if (first.select) first.select(); }
    }
    times();
    $$(".input[aria-describedby]").forEach(markInvalid);
  });

  function markInvalid(input) {
    var error = doc.getElementById("error-" + input.name);
    if (!error) return;
    if (error.textContent.trim()) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }

  doc.addEventListener("click", function (event) {
    var layer = $("#layer");
    if (event.target.closest("[data-close]")) { closeLayer(true); return; }
    if (layer && !layer.hidden && !layer.contains(event.target) && !event.target.closest("[data-layer]")) closeLayer(false);
    if (event.target.closest("#menu")) toggleMenu();
    else if (event.target.closest(".frame") && !event.target.closest(".side")) toggleMenu(false);
    if (event.target.closest("[data-theme-switch]")) switchTheme();
    if (event.target.closest("[data-palette]")) openPalette();
    if (event.target.closest("[data-help]")) openDialog("#help");
    var copy = event.target.closest("[data-copy]");
    if (copy) navigator.clipboard.writeText($(copy.dataset.copy).textContent.trim()).then(function () { said("Copied."); });
    var closer = event.target.closest("[data-close-dialog]");
    if (closer) closer.closest("dialog").close();
    if (event.target.tagName === "DIALOG") event.target.close();
  });

  function toggleMenu(open) {
    var side = $("#side");
    var button = $("#menu");
    if (!side || !button) return;
    side.classList.toggle("open", open);
    button.setAttribute("aria-expanded", String(side.classList.contains("open")));
    if (side.classList.contains("open")) $("a", side).focus();
  }

  function switchTheme() {
    var root = doc.documentElement;
    var dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch (error) { /* The choice lasts for this page only. */ }
    themeLabel();
  }

  function themeLabel() {
    var root = doc.documentElement;
    var dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    $$("[data-theme-switch] span").forEach(function (node) { node.textContent = dark ? "Light theme" : "Dark theme"; });
  }

  // ---- the palette ------------------------------------------------------------------------------------------------

  var found = [];
  var chosen = 0;
  var asked = 0;

  function openDialog(selector) {
    var dialog = $(selector);
    if (dialog && !dialog.open) { closeLayer(false); dialog.showModal(); }
  }

  function openPalette() {
    openDialog("#palette");
    var input = $("#palette-input");
    input.value = "";
    listPalette("");
    input.focus();
  }

  function pages() {
    return $$("#side a.item").map(function (link) {
      return { label: $(".name", link).textContent, note: "Page", href: link.getAttribute("href") };
    });
  }

  function listPalette(text) {
    var wanted = text.trim().toLowerCase();
    found = pages().filter(function (page) { return page.label.toLowerCase().indexOf(wanted) >= 0; });
    chosen = 0;
    drawPalette();
    if (wanted.length < 2) return;
    var mine = ++asked;
    fetch("/palette?q=" + encodeURIComponent(text.trim()), { headers: { "HX-Request": "true" } })
      .then(function (answer) { return answer.ok && answer.status === 200 ? answer.json() : { hits: [] }; })
      .then(function (data) {
        if (mine !== asked) return;
        found = found.filter(function (hit) { return hit.note === "Page"; }).concat(data.hits);
        drawPalette();
      })
      .catch(function () { /* Pages stay listed; the banner says that the hub is away. */ });
  }

  function drawPalette() {
    var list = $("#palette-list");
    list.textContent = "";
    found.forEach(function (hit, index) {
      var row = doc.createElement("li");
      row.id = "hit-" + index;
      row.setAttribute("role", "option");
      row.setAttribute("aria-selected", String(index === chosen));
      var name = doc.createElement("span");
      name.textContent = hit.label;
      var note = doc.createElement("span");
      note.className = "muted";
      note.textContent = hit.note;
      row.append(name, note);
      row.addEventListener("click", function () { location.href = hit.href; });
      list.append(row);
    });
    $("#palette-none").hidden = found.length > 0;
    var input = $("#palette-input");
    if (found.length) input.setAttribute("aria-activedescendant", "hit-" + chosen);
    else input.removeAttribute("aria-activedescendant");
    var current = $("#hit-" + chosen);
    if (current) current.scrollIntoView({ block: "nearest" });
  }

  function paletteKeys(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      var step = event.key === "ArrowDown" ? 1 : -1;
      if (found.length) chosen = (chosen + step + found.length) % found.length;
      drawPalette();
    } else if (event.key === "Enter" && found[chosen]) {
      event.preventDefault();
      location.href = found[chosen].href;
    }
  }

  // ---- keys -------------------------------------------------------------------------------------------------------

  var going = 0;

  function rows() { return $$("tbody[data-rows] > tr"); }

  function move(step) {
    var all = rows();
    if (!all.length) return;
    var at = all.findIndex(function (row) { return row.classList.contains("current"); });
    var next = all[Math.max(0, Math.min(all.length - 1, at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step))];
    all.forEach(function (row) { row.classList.toggle("current", row === next); });
    next.scrollIntoView({ block: "nearest" });
    var link = $("a", next);
    if (link) link.focus({ preventScroll: true });
  }

  function gridMove(event) {
    var cell = event.target.closest(".on-hand, .cell-why");
    if (!cell || !/^Arrow/.test(event.key)) return false;
    var row = cell.closest("tr");
    var stops = $$(".on-hand, .cell-why", row);
    var target = null;
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      target = stops[stops.indexOf(cell) + (event.key === "ArrowRight" ? 1 : -1)];
    } else {
      var other = event.key === "ArrowDown" ? row.nextElementSibling : row.previousElementSibling;
      var column = cell.closest("td").cellIndex;
      target = other && other.cells[column] && $(".on-hand, .cell-why", other.cells[column]);
    }
    if (target) { event.preventDefault(); target.focus(); }
    return true;
  }

  doc.addEventListener("keydown", function (event) {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      if ($("#palette")) openPalette();
      return;
    }
    if (event.target.id === "palette-input") return paletteKeys(event);
    if (event.key === "Escape") {
      if ($("#layer") && !$("#layer").hidden) { closeLayer(true); return; }
      toggleMenu(false);
      if (typing()) doc.activeElement.blur();
      return;
    }
    if (gridMove(event) || typing() || event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]")) return;
    if (going && Date.now() - going < 1500) {
      going = 0;
      var link = $('#side a.item[data-key="' + CSS.escape(event.key.toLowerCase()) + '"]');
      if (link) { event.preventDefault(); location.href = link.href; return; }
    }
    var key = event.key;
    var name = (event.shiftKey && /^[a-z]$/i.test(key) ? "shift+" : "") + key.toLowerCase();
    var pressed = key.length === 1 && $('[data-press="' + CSS.escape(name) + '"]');
    if (pressed && !pressed.disabled) { event.preventDefault(); pressed.click(); return; }
    if (key === "g") { going = Date.now(); }
    else if (key === "?") { event.preventDefault(); openDialog("#help"); }
    else if (key === "/") { var filter = $("[data-filter]"); if (filter) { event.preventDefault(); filter.focus(); filter.select(); } }
    else if (key === "j" || key === "k") { event.preventDefault(); move(key === "j" ? 1 : -1); }
    else if (key === "x") { var box = $("tr.current input[type=checkbox]"); if (box) { box.click(); } }
    else if (key === "Enter" && !event.target.closest("a, button, summary")) { var open = $("tr.current a"); if (open) open.click(); }
  });

  doc.addEventListener("input", function (event) {
    if (event.target.id === "palette-input") listPalette(event.target.value);
    if (event.target.matches("[aria-invalid]")) event.target.removeAttribute("aria-invalid");
  });

  doc.addEventListener("change", function (event) {
    if (event.target.matches("[data-select-all]")) {
      $$("tbody[data-rows] input[type=checkbox]").forEach(function (box) { box.checked = event.target.checked; });
    }
    if (event.target.closest("[data-autosubmit]") && event.target.matches("select, input[type=checkbox]")) {
      event.target.form.requestSubmit();
    }
    countSelected();
  });

  function countSelected() {
    var count = $("[data-selected-count]");
    if (!count) return;
    var boxes = $$("tbody[data-rows] input[type=checkbox]");
    var chosen = boxes.filter(function (box) { return box.checked; }).length;
    count.textContent = chosen;
    var bar = $("[data-selected]");
    if (bar) bar.hidden = chosen === 0;
    var all = $("[data-select-all]");
    if (all) { all.checked = chosen > 0 && chosen === boxes.length; all.indeterminate = chosen > 0 && chosen < boxes.length; }
    $$("[data-needs-selected]").forEach(function (button) { button.disabled = chosen === 0; });
  }

  // ---- forms that are not to be left by mistake ---------------------------------------------------------------------

  var unsaved = false;

  doc.addEventListener("input", function (event) { if (event.target.closest("form[data-leave]")) unsaved = true; });
  doc.addEventListener("submit", function () { unsaved = false; });
  addEventListener("beforeunload", function (event) { if (unsaved) event.preventDefault(); });

  doc.addEventListener("DOMContentLoaded", function () {
    themeLabel();
    saidBefore();
    times();
    setInterval(times, 1000);
    $$("[data-needs-script]").forEach(function (node) { node.hidden = false; });
    unsaved = $("form[data-changed]") !== null;
    countSelected();
    connect();
  });
})();
