/**
 * G.729 to test with, because no encoder is at hand where tests run: made once with bcg729 1.1.1 (Debian package
 * libbcg729-dev) from a sine of 500 Hz with an amplitude of 6000.
 */

/** One second: 100 frames of 10 bytes. */
export const G729_TONE = Buffer.from(
  `
  i/PIAAD62jFC/KOwVUbFlayTgcWF88p2fHvMHUOSCNrJ6h9ac7ncw2HzyaCsa1PfiR4jtMmlxrIxQcHRTVtJcFjGslM0hwjzSfY7
  avF7Apch9kmpGKtTHxiAYdvJ8djCM1n0wQjzymPg4/AZwNsF28n3CG9xQ40bTXNVQnDSLyzDlSO2yaCmrjFiUNEF8ommY3NSG+JY
  TfNKYreZUuvC2w22CbaIKjJYzVtN+0mwWMCxgsGHBfPJ6uE7cjn02yH2yffBW1FSI9oNs0k2jDFzFSIXTfRKYqez8l/AmiPmyevw
  QjJQNcMFs9WFHsIxIbNBCPPJ6md7cRMw12FbybahMHK1DjFN8Mn0d1LzHdr3I9xJY1CLcNUGH0nyyiO/u1DpwtoNskk7UAjy1T7R
  YdqKYH7g72nOEQjzybSJmPHGbFcjtEn2oTnxooX3SfLKK+d7UJ/A2w2ySfCOq3AVtFdh+omlnZCyg5mxJvAJtqE7b9+HW2HYCmPj
  7nDpwPEI88nv4+rxaoOXIfNJ+8jLVI+ZyGFbSNf8GPMZmZEI88mvUMrypQ4fIWRJ9cpochUa0SO0SXp+AjKlDjsmxspt+ONxTjEb
  DbJJ6w5nUI6jV0lzbTFwk/HmFhcj5snr0MhyM3kXBbPJ6fFZMSTjFwzzSj358nFfDAcFW8l2BFhxSExHIfRJsIy7UhWjSA3DynfM
  cxI/iRpJ6kloxgIxSY0RTfNJtpzqMkPMUQ22yakxWfFDNPsh9Em1OjryXwxODcNKKf768o5w8SFcSSkIbnRJDBdN80npOXLxSwnT
  DbbJ6Q5s8KP9l032SjU5c3K4zToNs3w2oMIw6OERIdxJ4/Te8UDNVwzzbnahN3MDGNEF28n342jyuFTBI7bJdow6cRkYnwjzSaEY
  41IDMJghtkn0eXt0Wcx7DcJJ8djiNCnoGibcSbZgZjCyzVFN80oj4+NwjkWbDbbJKy9I8lw+kSH0SasBa1FTA5oNwkq8e+kSjtnR
  JtxJdxBI8lh0yk3zifO4IjQuWMcNslVXxFpvEEDRSfLKaw95Eu+pWg23SSjwSDRDDFNN+0oxy+gvksHBBfKJ9qEzcrUOHyO2ybcV
  TvGkBttN80n6JuLxpQnLDbRJtIwzcRlhUSHjVgOwqPEZ9JMNtgmjnJ4xBQKTTfNJ5lz68++Z9wXzybacE1GixtoNt+01OXnQ1GIX
  TdtVkkvoMiRCwQ22CaksWjKpzENN80ngZ/NyHslXBfPJrqlDUw8AyA23ybfhe3FJTRtN20njM8gwPsORDbYJtIAoMhUyy03zSeNH
  k3IFwtMF88n9++NUWcxODbfJd+gK8N8eGw==
  `,
  'base64',
);

export const G729_TONE_HZ = 500;

/** A silence descriptor of annex B. */
export const G729_SID = Buffer.from('3540', 'hex');
