// Keeps a page up to date: swaps parts for newer ones that the server rendered, and appends what a step prints.
"use strict";
(() => {
  const main = document.querySelector("main");
  const most = 1 << 20;
  const pause = 5000;
  const colours = /\x1b\[[0-?]*[ -\/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?/g;
  // The same characters as in words.py.
  const hidden = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\u2028\u2029\ufff9-\ufffb\u{e0000}-\u{e007f}\ud800-\udfff]/gu;

  function picture(character) {
    const code = character.codePointAt(0);
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    return code === 0x7f ? "\u2421" : `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
  }

  function plain(text) {
    const lines = text.replace(colours, "").split("\n").map((line) => {
      const whole = line.endsWith("\r") ? line.slice(0, -1) : line;
      return whole.slice(whole.lastIndexOf("\r") + 1);
    });
    return lines.join("\n").replace(hidden, picture);
  }

  async function swap(address) {
    const answer = await fetch(address, { headers: { accept: "text/html" } });
    if (!answer.ok || answer.redirected) return null;
    const newer = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-swap]")) {
      const other = newer.getElementById(part.id);
      if (!other || other.innerHTML === part.innerHTML) continue;
      const focus = part.contains(document.activeElement) ? document.activeElement : null;
      const open = [...part.querySelectorAll("details")].map((element) => element.open);
      part.replaceChildren(...other.childNodes);
      part.querySelectorAll("details").forEach((element, index) => { element.open = open[index] ?? false; });
      if (focus && focus.href) [...part.querySelectorAll("a")].find((link) => link.href === focus.href)?.focus();
    }
    document.title = newer.title;
    return newer;
  }

  function refresh(pause) {
    setTimeout(async () => {
      try {
        if (!document.hidden) await swap(location.href);
      } catch { /* the server is away for a moment */ }
      refresh(pause);
    }, pause);
  }

  class Log {
    constructor(element) {
      this.element = element;
      this.rest = "";
      this.last = document.createTextNode("");
      element.append(this.last);
      element.scrollTop = element.scrollHeight;
    }

    add(text) {
      const element = this.element;
      const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 40;
      const lines = this.rest + text;
      const end = lines.lastIndexOf("\n") + 1;
      if (end) this.last.before(plain(lines.slice(0, end)));
      this.rest = lines.slice(end);
      this.last.data = plain(this.rest);
      while (element.textContent.length > most && element.firstChild !== this.last) element.firstChild.remove();
      if (atEnd) element.scrollTop = element.scrollHeight;
    }
  }

  function follow(run) {
    const element = document.getElementById("log");
    const step = element ? element.dataset.step : "";
    const log = element ? new Log(element) : null;
    const place = step ? `?step=${encodeURIComponent(step)}&offset=${element.dataset.offset}` : "?tail=1";
    const source = new EventSource(`/api/v1/runs/${run}/events${place}`);
    let due = 0;
    source.addEventListener("log", (event) => {
      const told = JSON.parse(event.data);
      if (log && told.step === step) log.add(told.text);
      // What it prints moves its numbers too: they are drawn anew once in a while, and once more at its end.
      due ||= setTimeout(async () => {
        if (source.readyState !== EventSource.CLOSED) await swap(location.href).catch(() => null);
        due = 0;
      }, pause);
    });
    source.addEventListener("state", async () => {
      const newer = await swap(location.href).catch(() => null);
      const next = newer?.getElementById("log")?.dataset.step;
      // Another step prints now, and nobody has chosen one: show that.
      if (next && next !== step && !("chosen" in main.dataset)) {
        source.close();
        document.getElementById("output").replaceWith(newer.getElementById("output"));
        follow(run);
      }
    });
    source.addEventListener("end", async () => {
      source.close();
      await swap(location.href).catch(() => null);
    });
  }

  if (main?.dataset.refresh) refresh(Number(main.dataset.refresh));
  if (main?.dataset.run) follow(main.dataset.run);
  else {
    const log = document.getElementById("log");
    if (log) log.scrollTop = log.scrollHeight;
  }
})();
