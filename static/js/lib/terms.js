// Words of the pages, explained in a sentence or two, with what the papers on AdaDeep call them.

export const TERMS = {
  goals: { title: "goals", text: "How much each goal counts, as shares of 100 %. In the papers these are the weights μ₁ (accuracy) and μ₂ (energy) of the user’s demand; here there are four." },
  limits: { title: "limits", text: "What must hold, whatever the goals say. In the papers: A_min and E_max, the least accuracy and the most energy that are accepted, and the budgets T_bgt (latency) and S_bgt (storage)." },
  goal_accuracy: { title: "accuracy as a goal", text: "How much it counts that answers stay right: in the papers A, with the weight μ₁. The limit is in points: from 98 %, one point less is 97 %. In the papers it is A_min." },
  goal_latency: { title: "latency as a goal", text: "How much it counts that one input is answered fast on the target device: in the papers T. The limit is their T_bgt, in milliseconds." },
  goal_energy: { title: "energy as a goal", text: "How much it counts that one input takes little energy on the target device, for computing and for moving data: in the papers E, with the weight μ₂. The limit is their E_max, in millijoules." },
  goal_storage: { title: "storage as a goal", text: "How much it counts that the file is small: in the papers S. The limit is their S_bgt, in megabytes." },
  latency_ms: { title: "latency", text: "How many times faster than the original one input is answered on the target device; below, both times and the band. In the papers T." },
  energy_mj: { title: "energy", text: "How many times less energy than the original one input takes on the target device; below, both and the band. In the papers E." },
  size_bytes: { title: "storage", text: "How many times smaller than the original’s the file is; below, both sizes. In the papers S." },
  accuracy: { title: "accuracy", text: "How many points are gained or lost against the original; below, both in percent and the band. In the papers A. Without labels it is agreement: how often the answer is the original’s." },
  tradeoff: { title: "the trade-off", text: "Each point is a whole recipe. Of the best trade-offs no known recipe is better in both directions: the Pareto front. Thin lines are bands, of a few best trade-offs and of the point under the pointer: 9 in 10 lie within; what was built has none in accuracy, which is measured. A limit’s dashed line can be dragged, or moved by arrow keys; a click on a point, or the arrow keys, hold it." },
  recipe: { title: "the recipe", text: "Which technique is applied to which layer, and how far. The papers call it the layer-wise combination of compression techniques; W1 to L3 are their numbers for the ten that they combine." },
  sensitivity: { title: "this chart", text: "Every dot is one change to one layer, made for real on held-out examples: what it saves, and how far answers move away from the original’s (KL divergence)." },
  reward: { title: "this chart", text: "The reward R of the deep reinforcement learning that the papers describe: how well the selector’s recipes serve random goals. The gap is what its own answers still miss to the best known recipe." },
  published: { title: "this chart", text: "The reward of AdaDeep as published for this demand, while its agents pick techniques and then set their levels. They train anew for each recipe that is tried; the newest training is shown." },
  learning: { title: "this chart", text: "The moving average of the reward R while each selector trained: how well its recipes serve random goals." },
  recovery: { title: "this chart", text: "Accuracy on examples that training does not see, while the compressed network learns again from the original’s answers (knowledge distillation)." },
  measured: { title: "these figures", text: "Measured: on this computer, original and result in turns. Predicted: from the layers’ costs, with the band that held for nine of ten hidden networks. The papers’ symbols: A accuracy, T latency, E energy, S storage." },
  flips: { title: "flipped answers", text: "Test examples for which the compressed network answers differently. Fixed and broken ones partly cancel out; the exact McNemar test asks whether they do." },
  classes: { title: "this chart", text: "The change of accuracy class by class, with its 95 % interval; a filled mark means that the interval excludes zero." },
};
