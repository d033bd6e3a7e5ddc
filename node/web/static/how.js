// How a job is written, for whoever has a notebook and never saw this page.
import { html, useEffect, useState } from "/static/html.js";
import { Copy } from "/static/parts.js";

const EXAMPLE = `from pathlib import Path
import numpy as np
import pandas as pd
from sklearn.neighbors import NearestCentroid

def train(train_dir, model_dir):
    table = pd.read_csv(Path(train_dir) / "train.csv")
    inputs, labels = table.drop(columns="label"), table["label"]
    model = NearestCentroid().fit(inputs, labels)
    print("loss:", 1 - model.score(inputs, labels))  # every such line is a point of the curve
    np.savez(Path(model_dir) / "model.npz", centres=model.centroids_, labels=np.array(model.classes_.tolist()))

def predict(model_dir, test_dir):
    model = np.load(Path(model_dir) / "model.npz")
    inputs = pd.read_csv(Path(test_dir) / "inputs.csv").to_numpy()
    distances = ((inputs[:, None] - model["centres"]) ** 2).sum(axis=2)
    return model["labels"][distances.argmin(axis=1)]
`;

/** Folded away, but open where the program cannot be tested yet. */
export function How({ isNeeded }) {
  const [isOpen, setOpen] = useState(isNeeded);
  useEffect(() => {
    if (isNeeded) setOpen(true); // and it stays so while the files are mended
  }, [isNeeded]);
  return html`<details class="how" open=${isOpen} onToggle=${(event) => setOpen(event.target.open)}><summary>How to turn a notebook or a script into a job</summary>
    <ul>
      <li>It reads its training data from a folder: <code>train(train_dir, model_dir)</code> gets it, and <code>$MORPHWARE_TRAIN_DIR</code> names it elsewhere. The files lie there by the names that they have here; the testing data does not, and there is no internet. Installed are numpy, pandas, scikit-learn, torch, safetensors and matplotlib.</li>
      <li>It leaves its model, as files, in <code>model_dir</code>, which is <code>$MORPHWARE_MODEL_DIR</code>.</li>
      <li>It defines <code>predict(model_dir, test_dir)</code>. Validators call it, without training again: it gets the testing data but for the labels, and returns one class, one row of class scores, or one number for each example.</li>
      <li>The testing data is two files: the inputs, by any name, and <code>labels.csv</code> (or <code>.npy</code>) with one column <code>label</code>, the right answer for each example, in the same order.</li>
      <li>In a notebook, all cells run for the training, but for those with the tag <code>skip</code> or <code>test</code>. Of the rest, validators run the imports, functions and classes alone; or, where some cells have the tag <code>train</code>, all others.</li>
    </ul>
    <p class="how-head">A whole job, as a script or in the cells of a notebook <${Copy} text=${EXAMPLE} what="the example" /></p>
    <pre class="output" tabindex="0" role="region" aria-label="An example of a job">${EXAMPLE}</pre>
    <p class="hint">A dry run then shows whether it works, on your machine and for nothing.</p>
  </details>`;
}
