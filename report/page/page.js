"use strict";
// A table that fits is no stop of the Tab key and no landmark; one that scrolls is both.
(() => {
  const boxes = [...document.querySelectorAll(".scroll")].map((node) => ({ node, label: node.getAttribute("aria-label") }));
  const mark = () => {
    const wide = boxes.map(({ node }) => node.scrollWidth > node.clientWidth);
    boxes.forEach(({ node, label }, i) => {
      for (const [name, value] of [["tabindex", "0"], ["role", "region"], ["aria-label", label]]) {
        if (wide[i]) node.setAttribute(name, value);
        else node.removeAttribute(name);
      }
    });
  };
  addEventListener("resize", mark);
  mark();
})();
// Filters the conversations by text and by group. Without this script all of them show.
(() => {
  const form = document.getElementById("filters");
  const text = document.getElementById("filter-text");
  const group = document.getElementById("filter-group");
  const count = document.getElementById("filter-count");
  if (!form) return;
  const groups = [...document.querySelectorAll("section.group")].map((node) => ({
    node,
    pairs: [...node.querySelectorAll("details.pair")].map((pair) => ({
      pair, words: pair.querySelector(".facts-search").textContent.toLowerCase(),
    })),
  }));
  const apply = () => {
    const wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0, all = 0;
    for (const g of groups) {
      const here = !group.value || group.value === g.node.id;
      let some = 0;
      for (const p of g.pairs) {
        const hit = here && wanted.every((w) => p.words.includes(w));
        p.pair.hidden = !hit;
        if (hit) some++;
      }
      g.node.hidden = !some;
      shown += some;
      all += g.pairs.length;
    }
    count.textContent = shown + " of " + all + " pairs shown" + (shown ? "" : ": no task, name, persona or key holds these words");
  };
  const setOpen = (open) => {
    for (const g of groups) for (const p of g.pairs) if (!p.pair.hidden) p.pair.open = open;
  };
  form.hidden = false;
  form.addEventListener("submit", (e) => e.preventDefault());
  text.addEventListener("input", apply);
  group.addEventListener("change", apply);
  document.getElementById("open-all").addEventListener("click", () => setOpen(true));
  document.getElementById("close-all").addEventListener("click", () => setOpen(false));
  apply();
})();
