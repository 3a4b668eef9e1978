// Words of the pages, explained in a sentence or two, with what the papers on AdaDeep call them.

export const TERMS = {
  goals: { title: "goals", text: "How much each goal counts, as shares of 100 %. In the papers these are the weights μ₁ (accuracy) and μ₂ (energy) of the user’s demand; here there are four." },
  limits: { title: "limits", text: "What must hold, whatever the goals say. In the papers: A_min and E_max, the least accuracy and the most energy that are accepted, and the budgets T_bgt (latency) and S_bgt (storage)." },
  tradeoff: { title: "the trade-off", text: "Each point is a whole recipe. Of the best trade-offs no known recipe is better in both directions: the Pareto front. A limit’s dashed line can be dragged; a click on a point, or the arrow keys, hold it." },
  recipe: { title: "the recipe", text: "Which technique is applied to which layer, and how far. The papers call it the layer-wise combination of compression techniques; W1 to L3 are their numbers for the ten that they combine." },
  sensitivity: { title: "this chart", text: "Every dot is one change to one layer, made for real on held-out examples: what it saves, and how far answers move away from the original’s (KL divergence)." },
  reward: { title: "this chart", text: "The reward R of the deep reinforcement learning that the papers describe: how well the selector’s recipes serve random goals. The gap is what its own answers still miss to the best known recipe." },
  learning: { title: "this chart", text: "The moving average of the reward R while each selector trained: how well its recipes serve random goals." },
  recovery: { title: "this chart", text: "Accuracy on examples that training does not see, while the compressed network learns again from the original’s answers (knowledge distillation)." },
  measured: { title: "these figures", text: "Measured: on this computer, original and result in turns. Predicted: from the layers’ costs, with the band that held for nine of ten hidden networks. The papers’ symbols: A accuracy, T latency, E energy, S storage." },
  flips: { title: "flipped answers", text: "Test examples for which the compressed network answers differently. Fixed and broken ones partly cancel out; the exact McNemar test asks whether they do." },
  classes: { title: "this chart", text: "The change of accuracy class by class, with its 95 % interval; a filled mark means that the interval excludes zero." },
};
