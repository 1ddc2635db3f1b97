// Elements of the content whose inside is wider than they are: on paper nobody can scroll.
() =>
  [...document.querySelectorAll("main, main *")]
    .filter((element) => !element.closest("svg") && element.checkVisibility() && element.clientWidth > 0)
    .filter((element) => element.scrollWidth > element.clientWidth + 1)
    .map((element) => `${element.tagName}.${element.className} ${element.scrollWidth} > ${element.clientWidth}`)
