/* Opens what a link points to: the tab and the step that a line of evidence, or a finding, is in. Says how long ago a live
   run was. Everything else works without a script. Clicks are caught at the document, which outlives every page of
   Material's instant navigation. */
(() => {
  "use strict";

  /* The element a fragment names, when it is inside a runbook. */
  const targetOf = (hash) => {
    const element = hash.length > 1 ? document.getElementById(decodeURIComponent(hash.slice(1))) : null;
    return element && element.closest(".rb") ? element : null;
  };

  const open = (element) => {
    for (let part = element; part && !part.classList.contains("rb"); part = part.parentElement) {
      if (part.tagName === "DETAILS") part.open = true;
      if (part.classList.contains("rb-panel")) document.getElementById(`${part.id}--Tab`).checked = true;
    }
  };

  /* Lights a line of evidence and its neighbours of the same finding, or a finding. */
  const light = (element) => {
    for (const lit of document.querySelectorAll(".rb-lit")) lit.classList.remove("rb-lit");
    element.classList.add("rb-lit");
    if (element.classList.contains("rb-line")) {
      const finding = element.getAttribute("href");
      for (const line of element.closest(".rb-panel, .rb-result").querySelectorAll(".rb-line")) {
        if (line.getAttribute("href") === finding) line.classList.add("rb-lit");
      }
    }
  };

  const visit = (element) => {
    open(element);
    light(element);
    if (!element.matches("a, summary, input")) element.tabIndex = -1;
    element.focus({ preventScroll: true });
    element.scrollIntoView({ block: "center" });
  };

  const ago = (time) => {
    if (!time.dateTime.includes("T")) return "";  // Of a recording only the day is known.
    const minutes = Math.floor((Date.now() - Date.parse(time.dateTime)) / 60000);
    if (!(minutes >= 0)) return "";
    if (minutes < 1) return "less than a minute ago";
    const [count, unit] = minutes < 60 ? [minutes, "minute"] : minutes < 2880
      ? [Math.floor(minutes / 60), "hour"] : [Math.floor(minutes / 1440), "day"];
    return `${count} ${unit}${count === 1 ? "" : "s"} ago`;
  };

  const enhance = () => {
    for (const from of document.querySelectorAll(".rb-from:not([data-rb-ago])")) {
      const time = from.querySelector("time");
      from.dataset.rbAgo = "";
      if (time && ago(time)) time.after(`, ${ago(time)}`);
    }
    const element = targetOf(location.hash);
    if (element) visit(element);
  };

  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a[href*='#']") : null;
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const url = new URL(link.href, location.href);
    const element = url.pathname === location.pathname && url.origin === location.origin ? targetOf(url.hash) : null;
    if (!element) return;
    event.preventDefault();
    event.stopPropagation();
    history.pushState(null, "", url.hash);
    visit(element);
  }, true);
  window.addEventListener("hashchange", enhance);
  window.addEventListener("popstate", enhance);

  if (window.document$) window.document$.subscribe(enhance);
  else if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", enhance);
  else enhance();
})();
