// In the frame of a chart: receives the library, and draws the figure with it.
(() => {
  "use strict";
  const library = document.body.dataset.library;
  const place = document.getElementById("chart");
  let taken = false;

  function drawPlotly(figure) {
    const layout = { ...figure.layout, autosize: true };
    delete layout.width;
    delete layout.height;
    const config = { displayModeBar: false, displaylogo: false, showLink: false, responsive: true };
    return window.Plotly.newPlot(place, figure.data, layout, config);
  }

  function drawVega(figure) {
    delete figure.usermeta; // it could set options of vegaEmbed
    return window.vegaEmbed(place, figure, { ast: true, actions: false, renderer: "svg", tooltip: false });
  }

  async function draw(source) {
    const script = document.createElement("script");
    script.textContent = source;
    document.head.append(script); // runs only if the Content Security Policy lists its hash
    const figure = JSON.parse(document.getElementById("figure").textContent);
    place.textContent = "";
    await (library === "plotly" ? drawPlotly : drawVega)(figure);
    document.body.dataset.drawn = "yes";
  }

  addEventListener("message", (event) => {
    if (taken || event.data?.library !== library) return;
    taken = true;
    draw(event.data.source).catch((error) => {
      place.textContent = `This chart could not be drawn: ${error.message}`;
    });
  });
  for (let each = 0; each < parent.length; each += 1) parent[each].postMessage(`${library}?`, "*");
})();
