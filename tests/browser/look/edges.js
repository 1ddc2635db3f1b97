// Lines of text that a whole print holds: the heading, and the cells of the first and the last row of every table.
() => {
  const rows = (table) => [table.rows[0], table.tBodies[0].rows[0], table.rows[table.rows.length - 1]];
  return [...document.querySelectorAll("h1, table")]
    .filter((element) => element.checkVisibility())
    .flatMap((element) => (element.tagName === "H1" ? [element] : rows(element).flatMap((row) => [...row.cells])))
    .flatMap((element) => element.innerText.split("\n"))
    .filter((line) => line.trim());
}
