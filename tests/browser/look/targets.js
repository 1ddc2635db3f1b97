// Controls that a thumb could miss: lower or narrower than `least` px. Links inside text are read, not aimed at.
(least) =>
  [...document.querySelectorAll("button, select, summary, textarea, input:not([type=hidden]), nav a, .button, [role=button]")]
    .filter((element) => element.checkVisibility())
    .map((element) => [element, (element.closest("label:has(input[type=checkbox], input[type=radio])") ?? element).getBoundingClientRect()])
    .filter(([, box]) => box.width > 0 && (box.height < least - 0.5 || box.width < least - 0.5))
    .map(([element, box]) => `${element.outerHTML.slice(0, 80)} is ${box.width.toFixed(0)} x ${box.height.toFixed(0)}`)
