/** The blocks of a Markdown text that are in this language, without their indentation. */
export function blocks(markdown, language) {
  return [...markdown.matchAll(/^( *)```(\w+)\n([^]*?)^\1```$/gm)]
    .filter(([, , name]) => name === language)
    .map(([, indentation, , text]) => text.replaceAll(new RegExp(`^${indentation}`, 'gm'), ''));
}
