// Package export writes training examples for other people's trainers, and proves for every row
// that the trainer will train on the same tokens as this program would.
package export
