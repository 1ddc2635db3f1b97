// Every text a reader meets: [text, language it is marked with, whether it stands in code]. Attributes count where they are read out.
() => {
  const found = [];
  const note = (text, element) => {
    const plain = text.replace(/\s+/g, " ").trim();
    const code = element.closest("code, pre, .mono, svg [data-code]") !== null;
    if (plain) found.push([plain, element.closest("[lang]").lang, code]);
  };
  const shown = (element) => element.checkVisibility({ visibilityProperty: true }) || element.closest("svg") !== null;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!["SCRIPT", "STYLE"].includes(element.tagName) && shown(element)) note(walk.currentNode.data, element);
  }
  for (const name of ["aria-label", "placeholder", "alt", "title", "data-label"])
    for (const element of document.querySelectorAll(`[${name}]`)) note(element.getAttribute(name), element);
  found.push([document.title, document.documentElement.lang, false]);
  return found;
}
