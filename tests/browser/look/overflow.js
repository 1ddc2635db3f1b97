// What makes the page wider than its window: nothing, or the elements that stick out farthest.
() => {
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= wide) return [];
  return [...document.body.querySelectorAll("*")]
    .filter((element) => element.getBoundingClientRect().right > wide + 1)
    .slice(0, 5)
    .map((element) => `${element.tagName}.${element.className} ends at ${element.getBoundingClientRect().right} of ${wide}`);
}
