// Exactly three lines that load the file, in three languages.
const quote = (text) => JSON.stringify(text);

/** {python, android, cpp} for a file, its input and how its inputs are prepared. */
export function snippets({ file, input = "input", shape = [], preprocessing = null }) {
  const ready = preprocessing?.divide && preprocessing.divide !== 1 ? `values divided by ${preprocessing.divide}` : "model-ready values";
  const size = ["n", ...shape].join(" × ");
  return {
    python: `import onnxruntime as ort\nsession = ort.InferenceSession(${quote(file)})\noutput, = session.run(None, {session.get_inputs()[0].name: x})   # float32${shape.length ? `, ${size}` : ""}, ${ready}`,
    android: `val session = OrtEnvironment.getEnvironment().createSession(assets.open(${quote(file)}).readBytes())\nval x = OnnxTensor.createTensor(OrtEnvironment.getEnvironment(), buffer, longArrayOf(1${shape.map((n) => `, ${n}`).join("")}))\nval output = session.run(mapOf(session.inputNames.first() to x))`,
    cpp: `Ort::Env env; Ort::Session session(env, ${quote(file)}, Ort::SessionOptions{});\nconst char* in[] = {${quote(input)}}; const char* out[] = {"output"};   // names: session.GetInputNames()\nauto output = session.Run({}, in, &x, 1, out, 1);`,
  };
}
