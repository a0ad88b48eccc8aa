// Shows the chosen cover before it is sent. Without JavaScript the form works just as well.
const input = document.querySelector("input[name=cover]");
const preview = document.querySelector("#preview");

input.addEventListener("change", () => {
  const [file] = input.files;
  preview.hidden = !file;
  if (file) preview.src = URL.createObjectURL(file);
});
