"""Choose a compression recipe for goals, budgets and a target, and run the stages that make it real."""
