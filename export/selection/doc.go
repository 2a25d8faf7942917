// Package selection makes training data of what a run selected (Algorithm 1, lines 4 and 5):
// examples for supervised fine-tuning, as the run's own trainer gets them, and, beyond the
// paper, preferences between two of a pair's conversations.
package selection
