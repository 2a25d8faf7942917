// Package experiment holds experiments as data: YAML files that differ from a parent in a
// few fields.
//
// A file names itself, may extend another, and sets fields of whatever structure the
// program decodes it into. [Load] resolves a name: the files of its chain are decoded one
// over the other, parents first, each strictly, so that an unknown key is an error with
// file and line. An ablation is a file too; "nano+gold-response" is the experiment nano
// with the ablation gold-response laid over it.
package experiment
