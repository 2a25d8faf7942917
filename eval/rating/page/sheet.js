"use strict";
(() => {
  const sheet = document.body.dataset.sheet;
  const items = [...document.querySelectorAll(".item")];
  const rater = document.getElementById("rater");
  const store = "stargate rating " + sheet;
  const radio = (item) => item.querySelector("input[type=radio]:checked");
  const comment = (item) => item.querySelector(".comment");
  const state = () => ({
    rater: rater.value,
    items: Object.fromEntries(items.map((i) => [i.dataset.item, [radio(i)?.value ?? "", comment(i).value]])),
  });
  const show = () => {
    let done = 0;
    for (const i of items) {
      const is = Boolean(radio(i)?.value);
      i.classList.toggle("done", is);
      if (is) done++;
    }
    document.getElementById("progress").textContent = done + " of " + items.length + " answered";
    const open = items.find((i) => !radio(i));
    document.getElementById("next").href = open ? "#" + open.id : "#download";
  };
  const keep = () => {
    show();
    try { localStorage.setItem(store, JSON.stringify(state())); } catch { /* a private window keeps nothing: download before closing */ }
  };
  try {
    const before = JSON.parse(localStorage.getItem(store) ?? "null");
    if (before) {
      rater.value = before.rater;
      for (const i of items) {
        const [verdict, note] = before.items[i.dataset.item] ?? ["", ""];
        for (const r of i.querySelectorAll("input[type=radio]")) r.checked = verdict !== "" && r.value === verdict;
        comment(i).value = note;
      }
    }
  } catch { /* nothing kept */ }
  document.addEventListener("input", keep);
  show();
  const cell = (s) => '"' + (/^[=+\-@\t\r]/.test(s) ? " " : "") + s.replaceAll('"', '""') + '"';
  document.getElementById("download").addEventListener("click", () => {
    const s = state();
    const rows = [["sheet", "item", "verdict", "comment", "rater"]];
    for (const i of items) {
      const [verdict, note] = s.items[i.dataset.item];
      rows.push([sheet, i.dataset.item, verdict, note, s.rater]);
    }
    const text = "\ufeff" + rows.map((r) => r.map(cell).join(",")).join("\r\n") + "\r\n";
    const a = document.createElement("a");
    a.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    a.download = "answers-" + sheet + (s.rater ? "-" + s.rater.replace(/[^\p{L}\p{N}]+/gu, "_") : "") + ".csv";
    a.click();
    URL.revokeObjectURL(a.href);
  });
})();
