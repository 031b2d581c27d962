// Keeps the parts with data-live up to date. All pages work without this script.
"use strict";

const EVERY_MS = 2000;
const PATIENCE_MS = 10000;
const TYPED_MS = 400;
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

// The server writes times in the viewer's zone once it knows it.
function tellZone() {
  const cookie = `sesq_zone=${encodeURIComponent(ZONE)}`;
  if (document.cookie.split("; ").includes(cookie)) return false;
  document.cookie = `${cookie}; path=/; max-age=31536000; SameSite=Strict`;
  return document.cookie.split("; ").includes(cookie);
}

// Somebody uses this part now, so it is not replaced.
function isBusy(part) {
  if (part.querySelector("input[type=checkbox]:checked")) return true;
  if (part.contains(document.activeElement) && document.activeElement !== document.body) return true;
  const selection = window.getSelection();
  return !selection.isCollapsed && part.contains(selection.anchorNode);
}

function swap(fresh) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(part.id);
    if (!other || isBusy(part) || part.innerHTML === other.innerHTML) continue;
    const scrolled = [...part.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
    part.replaceChildren(...document.adoptNode(other).childNodes);
    part.querySelectorAll(".scroll").forEach((each, number) => { each.scrollLeft = scrolled[number] || 0; });
  }
}

async function refresh() {
  const asked = location.href;
  const reply = await fetch(asked, { redirect: "manual", signal: AbortSignal.timeout(PATIENCE_MS) });
  if (reply.type === "opaqueredirect") return location.reload(); // logged out
  if (!reply.ok) throw new Error(String(reply.status));
  swap(new DOMParser().parseFromString(await reply.text(), "text/html"));
}

async function keepFresh() {
  if (!document.hidden) {
    try {
      await refresh();
      document.getElementById("offline").hidden = true;
    } catch {
      document.getElementById("offline").hidden = false;
    }
  }
  setTimeout(keepFresh, EVERY_MS);
}

const PAGE_SIZE = 50;
let searches = 0;

async function load(address) {
  const reply = await fetch(address, { redirect: "manual", signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!reply.ok) throw new Error(String(reply.status));
  return new DOMParser().parseFromString(await reply.text(), "text/html");
}

async function page(address) {
  return (await load(address)).getElementById("found");
}

// Adds newly found messages below those that were found before.
function addTo(found, fresh) {
  const [rows, back, newer] = [[...found.querySelectorAll("tbody tr")], "[name=back]", "a[rel=prev]"];
  if (fresh.querySelector(back)) fresh.querySelector(back).value = found.querySelector(back).value;
  if (!found.querySelector(newer)) fresh.querySelector(newer)?.remove(); // the page has not changed
  const body = fresh.querySelector("tbody");
  if (body) body.prepend(...rows);
  else if (rows.length) fresh.querySelector(".empty").replaceWith(found.querySelector(".scroll"));
  found.replaceChildren(...document.adoptNode(fresh).childNodes);
}

// Continues a search until it has looked at all messages, or until the page is full.
async function lookFurther() {
  const own = ++searches;
  const found = document.getElementById("found");
  for (;;) {
    const link = found?.querySelector("[data-goes-on]");
    if (!link || found.querySelectorAll("tbody tr").length >= PAGE_SIZE) return;
    const fresh = await page(link.href);
    if (own !== searches || !fresh) return;
    addTo(found, fresh);
  }
}

// Searches while somebody types, and puts the filter into the address.
async function lookAsTyped(form) {
  const own = ++searches;
  const address = `${location.pathname}?${new URLSearchParams([...new FormData(form)].filter(([, value]) => value))}`;
  const fresh = await page(address).catch(() => null); // an error, such as for half a time, or the redirect for the whole id of a message
  if (own !== searches || !fresh) return;
  history.replaceState(null, "", address);
  document.getElementById("found").replaceWith(document.adoptNode(fresh));
  document.getElementById("all")?.remove(); // its buttons are for the filter before
  await lookFurther();
}

let typing;
document.addEventListener("input", (event) => {
  const form = event.target.closest("form[role=search]");
  if (!form || !document.getElementById("found")) return;
  clearTimeout(typing);
  typing = setTimeout(() => lookAsTyped(form).catch(() => {}), TYPED_MS);
});
lookFurther().catch(() => {});

// A question counts until all are counted. Its button stays the same one, so that a click is never lost.
async function countFurther() {
  for (;;) {
    const link = document.querySelector("#question [data-goes-on]");
    if (!link) return;
    const fresh = await load(link.href);
    if (!fresh.getElementById("how-many")) { // in the end, no message matches
      document.getElementById("question").replaceWith(document.adoptNode(fresh.getElementById("question")));
      return;
    }
    for (const part of document.querySelectorAll("#question [data-counted]")) {
      const other = fresh.getElementById(part.id);
      if (!other) { part.remove(); continue; }
      part.value = other.value;
      part.replaceChildren(...document.adoptNode(other).childNodes);
    }
  }
}
countFurther().catch(() => {});

document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-all]")) return;
  for (const box of event.target.closest("form").querySelectorAll("[name=ids]")) box.checked = event.target.checked;
});

// Menus close with Esc, and with a click elsewhere.
function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.accounts[open]")) {
    if (menu === except) continue;
    const inside = menu.contains(document.activeElement);
    menu.open = false;
    if (inside) menu.querySelector("summary").focus();
  }
}
document.addEventListener("keydown", (event) => { if (event.key === "Escape") closeMenus(null); });
document.addEventListener("click", (event) => closeMenus(event.target.closest("details.accounts")));

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

if (document.querySelector("[data-live]")) {
  if (tellZone()) refresh().catch(() => {});
  setTimeout(keepFresh, EVERY_MS);
}
document.querySelector("nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
