// Runs a CDK program in TypeScript, from standard input; with CDK_OUTDIR set, CDK synthesises when the program ends.
const { readFileSync } = require('node:fs');
const Module = require('node:module');
const ts = require('typescript');

const { outputText } = ts.transpileModule(readFileSync(0, 'utf8'), {
  reportDiagnostics: true,
  compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, strict: true },
});
const program = new Module(__filename);
program.filename = __filename;
program.paths = module.paths;
program._compile(outputText, __filename);
