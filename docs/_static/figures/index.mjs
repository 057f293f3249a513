// Put a figure in the place of each still picture. A figure that cannot be made leaves its picture where it is.

for (const figure of document.querySelectorAll("figure.touch")) {
  const stage = figure.querySelector(".touch-stage");
  const still = stage.querySelector(".touch-still");
  import(`./${figure.dataset.figure}.mjs`)
    .then(async ({ mount }) => {
      const place = document.createElement("div");
      stage.append(place);
      await mount(place, new URL("../", import.meta.url));
      still.remove();
      figure.dataset.ready = "yes";
    })
    .catch((error) => {
      stage.replaceChildren(still);
      console.error(`figure ${figure.dataset.figure}: ${error.stack ?? error}`);
    });
}
