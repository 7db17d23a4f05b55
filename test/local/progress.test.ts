import { showProgress } from '../../local/progress.ts';

/** What a screen shows in the end, or a file holds. */
function output(isTTY: boolean) {
  let text = '';
  return { out: { isTTY, write: (more: string) => (text += more) }, text: () => text };
}

describe('progress', () => {
  it('in a file is one line per finished step', () => {
    const { out, text } = output(false);
    const { say, onStep } = showProgress(out);
    const done = onStep('build');
    expect(text()).toBe('');
    say('hello');
    done();
    expect(text()).toMatch(/^hello\n {4}0\.\d s {2}build\n$/);
  });

  it('on a terminal shows the running step, and clears it for what comes next', () => {
    const { out, text } = output(true);
    const { say, onStep } = showProgress(out);
    const done = onStep('build');
    expect(text()).toBe('\r\x1b[K      ...  build');
    say('hello');
    done();
    expect(text().split('\r\x1b[K').slice(2)).toEqual([
      'hello\n',
      expect.stringMatching(/^ {4}0\.\d s {2}build\n$/),
    ]);
  });

  it('keeps the status the last line of a terminal, and within its width', () => {
    const { out, text } = output(true);
    const { say, status } = showProgress({ ...out, columns: 6 });
    status('all is well');
    say('hello');
    expect(text()).toBe('\r\x1b[Kall i\r\x1b[Khello\nall i');
  });

  it('shows no status in a file', () => {
    const { out, text } = output(false);
    showProgress(out).status('all is well');
    expect(text()).toBe('');
  });
});
