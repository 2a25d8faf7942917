// Package jinja renders the part of Jinja 2 that chat templates are written in, as Python does
// with the settings of transformers: trim_blocks, lstrip_blocks, loop controls and the immutable
// sandbox.
//
// A template comes with a model from anywhere and is a program. Here it can neither hang nor eat
// memory: there are no loops but over values that exist, every expression, iteration and byte
// made costs a step of a budget ([Options].Steps), and nesting is limited. The budget counts
// work, not time: whether a template renders does not depend on the machine.
//
// What differs from Jinja: there is no markup (safe gives its input, escape gives plain text);
// filters that pad, format or draw at random are not there, nor the methods that do, formatting by %,
// inclusion, inheritance and call blocks; integers have 64 bits; d.items() and range are lists.
// What is not there is an error that names it.
package jinja
